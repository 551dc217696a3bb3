// For Android Studio: the library, its Kotlin extensions, the converter and the sample app.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}
dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}
rootProject.name = "thimble-android"
include(":kotlin", ":convert", ":sample")
