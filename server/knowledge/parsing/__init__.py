"""From a file's bytes to text with its headings and pages, in a process that may die."""
