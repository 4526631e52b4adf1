"""The comparison page: one HTML file, CSV tables, figures and exports, made from run folders alone."""
