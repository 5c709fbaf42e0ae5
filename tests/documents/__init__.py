"""What README and docs tell people to do is done here, block by block, and what they link to is there.

``markdown`` finds the blocks of a page, ``reader`` does what they say. A page is read from its beginning to its end,
as by somebody who types everything into one terminal; a block that nobody knows what to do with is a failure. What
is to be done with a block follows from its language (``text`` is what the block before prints, ``…`` standing for
anything; blocks without a language are figures), or from comments in front of it, which are not shown:

    <!-- file: web/index.html -->     the block is this file, and the text before names it
    <!-- start: ready -->             it goes on running; it is waited for until it has printed this
    <!-- restart: ready -->           the same, once Ctrl-C has ended what ran before
    <!-- soon -->                     it is run again until it prints what the page shows behind it
    <!-- exits: 1 -->                 it ends with this status
    <!-- see: two windows -->         after it the page's test looks for itself
    <!-- elsewhere: tests/… -->       these tests take it from the page
    <!-- other -->                    it is of another system, and only its syntax is looked at
"""
