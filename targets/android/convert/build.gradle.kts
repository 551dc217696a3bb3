// thimble-convert-android: the converters, in a library of their own.
plugins {
    id("com.android.library")
}

android {
    namespace = "dev.thimble.convert"
    compileSdk = 35
    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        externalNativeBuild {
            cmake {
                targets += "thimble_convert_jni"
                arguments += listOf("-DANDROID_STL=c++_static", "-DTHIMBLE_BUILD_TESTS=OFF", "-DTHIMBLE_BUILD_CLI=OFF", "-DTHIMBLE_SHARED=OFF")
            }
        }
    }
    sourceSets["main"].manifest.srcFile("AndroidManifest.xml")
    sourceSets["main"].java.setSrcDirs(listOf("java"))
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    externalNativeBuild { cmake { path = file("../../../CMakeLists.txt") } }
}

dependencies {
    api(project(":"))
}
