"""The classifier and an index of incidents over HTTP (extra ``service``)."""
