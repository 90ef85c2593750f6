"""The page of `orientd review`, and in `service` that of `orientd serve`."""
