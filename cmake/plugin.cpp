// A plugin's code comes from its library; a CMake target needs a source.
