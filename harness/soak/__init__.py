"""Loops of runs: how often does it fail, and how sure may one be of that?"""
