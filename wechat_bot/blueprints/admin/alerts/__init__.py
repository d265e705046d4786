"""The page of alerts: channels through which operators hear of followers who wait."""
