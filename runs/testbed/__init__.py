"""A test bed: a real HAProxy in front of real HTTP servers, under the requests that the simulator draws."""
