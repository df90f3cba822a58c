"""The dashboard: navigation, shared widgets, charts and downloads. Only this package and ``pages/`` know Streamlit."""
