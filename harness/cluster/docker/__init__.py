"""The docker provider's parts: engine, images, layout, side-car, nodes and their cluster."""
