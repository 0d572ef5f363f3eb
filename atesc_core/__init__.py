"""ATEsc Lab's core: everything that is true without a browser. Imports no streamlit."""
