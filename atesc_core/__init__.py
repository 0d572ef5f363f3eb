"""ATEsc Lab's core: everything that does not need a browser. It does not import streamlit."""
