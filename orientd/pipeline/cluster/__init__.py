"""A scan whose photos are judged by the nodes of a Ray cluster; `actors` alone imports Ray, and is imported when a scan asks."""
