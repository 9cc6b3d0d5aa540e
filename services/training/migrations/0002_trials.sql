-- A line of the log about a trial of the search for parameters carries the trial, as JSON of the run's format version; other lines carry none.
ALTER TABLE events ADD COLUMN trial TEXT;
