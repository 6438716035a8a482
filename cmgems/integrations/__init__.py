"""Plugins that offer cmgems inside other toolkits."""
