"""An upper agent that goes on learning where it is deployed, near what was deployed, and is rolled back when that fails."""
