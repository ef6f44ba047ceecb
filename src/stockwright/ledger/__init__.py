"""The shared-stock protocol: what we believe of a pool of levels, and what to do next.

Nothing in this package reads a clock, a network, a database, a file or a random number.
Every time, key and level comes in as an argument, and every decision goes out as a value.
So the code that runs in production is the code that runs through millions of simulated schedules.

`protocol` is the way in (step, is_echo, may_send); `people` holds what operators do (review, freeze);
`journal` rebuilds a state from its history; `hypotheses` and `history` put it before people.
"""
