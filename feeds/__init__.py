"""Where events come from: folders of files, the simulator; each publishes rows and their closing markers."""
