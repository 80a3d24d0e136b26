"""The way out: upstream HTTP client, provider registry and the shipped simulator."""
