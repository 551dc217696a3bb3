// thimble-android: Java classes, glue and libthimble_jni.so, built by the project's own CMake files.
plugins {
    id("com.android.library") version "8.13.0"
    id("org.jetbrains.kotlin.android") version "2.4.21" apply false
    id("com.android.application") version "8.13.0" apply false
}

android {
    namespace = "dev.thimble"
    compileSdk = 35
    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        externalNativeBuild {
            cmake {
                targets += "thimble_jni"
                arguments += listOf("-DANDROID_STL=c++_static", "-DTHIMBLE_BUILD_TESTS=OFF", "-DTHIMBLE_BUILD_CLI=OFF", "-DTHIMBLE_SHARED=OFF")
            }
        }
    }
    sourceSets["main"].manifest.srcFile("AndroidManifest.xml")
    sourceSets["main"].java.setSrcDirs(listOf("java", "glue"))
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    externalNativeBuild { cmake { path = file("../../CMakeLists.txt") } }
    buildFeatures { prefabPublishing = true }
    prefab { create("thimble_jni") { headers = "../../runtime/include" } }
}
