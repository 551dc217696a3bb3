/** Models of other formats become .thimble files: {@link dev.thimble.convert.Converter}. */
package dev.thimble.convert;
