"""Places: the gazetteer of a country, and how a text names its entries."""
