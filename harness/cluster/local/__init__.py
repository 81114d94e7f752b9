"""The provider ``local``: whichever way this machine lets nodes be made without docker."""
