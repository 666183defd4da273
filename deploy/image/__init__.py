"""The image's steps, run in a folder: chroot stands in for the container engine, debootstrap for the base."""
