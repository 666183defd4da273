"""What happens after a callback is stored. Importing it checks that the ``app`` that Python finds is ours."""

import ci_callback_receiver  # noqa: F401
