"""The package behind `orientd-train`: it makes the model that orientd serves, and measures it."""
