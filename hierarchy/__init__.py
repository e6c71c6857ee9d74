"""The two agents and what joins them: contextual lower agent, upper agent, ablation and tracking."""
