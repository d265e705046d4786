"""What the application does: one public function or method for each use case; the only writers."""
