"""Code that several pages share. A page imports from here and from its own folder, never from another page's folder."""
