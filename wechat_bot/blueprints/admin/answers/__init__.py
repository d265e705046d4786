"""The editor of answers: fields and preview that pages of rules, the menu and canned replies share."""
