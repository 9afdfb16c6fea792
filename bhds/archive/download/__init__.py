"""Download archive files with aria2c, check each transfer, record each revision."""
