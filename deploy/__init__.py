"""What an installation is deployed with: image, units, manifests, proxies."""
