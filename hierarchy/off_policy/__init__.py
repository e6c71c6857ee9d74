"""What a policy would be worth, told from what another one did, before it is deployed: off-policy evaluation."""
