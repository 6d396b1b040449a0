"""OAuth 2.0 client credentials, as far as it is the same for whoever asks: the brokers' client and the connectors."""
