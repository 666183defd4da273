"""Files and tools for deployment: image, units, manifests, proxies."""
