"""Events about trouble, and the chats that get them."""
