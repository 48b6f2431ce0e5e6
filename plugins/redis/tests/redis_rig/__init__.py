"""Real servers for the tests: started as an ordinary user, on loopback, gone with the test run.

`servers` has one server, `cluster` and `sentinel` several; `proxy` and `tls` stand in front of
one and misbehave. `keeper` sees to it that no server outlives the process that asked for it.
"""
