// The sample app, with the shipped model among its assets, stored and not compressed.
plugins {
    id("com.android.application")
}

android {
    namespace = "dev.thimble.sample"
    compileSdk = 35
    defaultConfig {
        minSdk = 26
        targetSdk = 35
        versionCode = 1
        versionName = "0.1.0"
    }
    sourceSets["main"].manifest.srcFile("AndroidManifest.xml")
    sourceSets["main"].java.setSrcDirs(listOf("java"))
    sourceSets["main"].res.setSrcDirs(listOf("res"))
    sourceSets["main"].assets.setSrcDirs(listOf("../../cli/models"))
    androidResources { noCompress += "thimble" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
}

dependencies {
    implementation(project(":"))
}
