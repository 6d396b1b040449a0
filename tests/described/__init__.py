"""The descriptions of the API, and clients that are made from them."""
