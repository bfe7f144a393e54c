"""How fast it is and what it takes: beside other systems, by threads and processors, as a service, to install."""
