"""The pair on a real balancer: every step measured, decided, held against rules of safety, and written."""
