"""Files of messages: fetched before the platform forgets them, checked, kept, and made fit for browsers."""
