"""The compiled half of fastbp. Nothing here validates, prints, warns or sees a string."""
