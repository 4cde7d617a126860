"""Where files lie: this machine's disk, S3, or a web server to read from. All reading and writing goes through here."""
