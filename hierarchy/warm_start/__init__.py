"""Warm starts: actions are tried in branched futures, and a lower agent begins with what they gained.

Policy iteration by rollouts (Lagoudakis and Parr, "Reinforcement Learning as Classification", ICML 2003; Bertsekas, "Rollout
Algorithms for Discrete Optimization", 2013): in many states some actions and the nominal one are followed into the same
future, the policy so far going on after them; networks learn what each gained; the policy takes what gains most.
"""
