"""The servers of all envs: queues, service, faults, starting, draining and what each is billed for.

Both disciplines run on one idea. A server has a virtual clock that advances with the work every flow in service has
received: under processor sharing at ``speed * min(1, cores / n)``, under FCFS, where at most ``cores`` flows are in
service, at ``speed``. A flow that enters service at virtual time ``v`` with work ``w`` leaves at ``v + w``, whatever comes
and goes in between, so a heap of these finish times is all a server needs.
"""
