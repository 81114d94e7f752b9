"""What a checker may see and say: record, facts, verdict."""
