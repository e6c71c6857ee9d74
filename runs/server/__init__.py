"""A tracking server for several people: MLflow over a PostgreSQL of its own, all of it in one folder."""
